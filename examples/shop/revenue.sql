-- A shop's tables as its databases report their changes (Debezium), and what each city has ordered, maintained.

-- The row before and after every change.
CREATE TABLE products (id INT, name STRING, price DECIMAL(10, 2), PRIMARY KEY (id) NOT ENFORCED)
WITH ('connector' = 'filesystem', 'path' = 'examples/shop/data/products.json', 'format' = 'debezium-json');

CREATE TABLE orders (id INT, customer_id INT, product_id INT, quantity INT, PRIMARY KEY (id) NOT ENFORCED)
WITH ('connector' = 'filesystem', 'path' = 'examples/shop/data/orders.json', 'format' = 'debezium-json');

-- Postgres as it is set up by default tells the row after alone, and of a deletion the key: what was there is remembered.
CREATE TABLE customers (id INT, name STRING, city STRING, PRIMARY KEY (id) NOT ENFORCED)
WITH ('connector' = 'filesystem', 'path' = 'examples/shop/data/customers.json', 'format' = 'debezium-json', 'debezium-json.upsert' = 'true');

SELECT c.city, COUNT(*) AS orders, SUM(o.quantity * p.price) AS revenue
FROM orders o JOIN products p ON o.product_id = p.id JOIN customers c ON o.customer_id = c.id
GROUP BY c.city
ORDER BY c.city;

-- The bank test: money moves between ten accounts, so that at every moment the balances add up to nothing.
CREATE VIEW credits AS SELECT to_account AS account, SUM(amount) AS credits FROM transactions GROUP BY to_account;
CREATE VIEW debits AS SELECT from_account AS account, SUM(amount) AS debits FROM transactions GROUP BY from_account;
CREATE VIEW balance AS
  SELECT c.account, c.credits - d.debits AS balance FROM credits AS c JOIN debits AS d ON c.account = d.account;
CREATE VIEW total AS SELECT SUM(balance) AS total FROM balance;
CREATE VIEW self_join AS
  SELECT l.id, r.id AS other FROM transactions AS l LEFT JOIN transactions AS r ON l.id = r.id;
CREATE VIEW self_join_in_time AS
  SELECT l.id, r.id AS other FROM transactions AS l LEFT JOIN transactions AS r ON l.id = r.id AND l.ts = r.ts;
-- The same as of the last transaction of each account.
CREATE VIEW credits_at AS
  SELECT to_account AS account, SUM(amount) AS credits, MAX(ts) AS ts FROM transactions GROUP BY to_account;
CREATE VIEW debits_at AS
  SELECT from_account AS account, SUM(amount) AS debits, MAX(ts) AS ts FROM transactions GROUP BY from_account;
CREATE VIEW balance_at AS
  SELECT c.account, c.credits - d.debits AS balance, c.ts
  FROM credits_at AS c JOIN debits_at AS d ON c.account = d.account AND c.ts = d.ts;
CREATE VIEW total_at AS SELECT SUM(balance) AS total FROM balance_at;

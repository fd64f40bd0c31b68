-- The tumbling maximum of q7, without the join that finds its bid.
SELECT MAX(price) AS top_price, window_start, window_end
FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(date_time), INTERVAL '10' SECOND))
GROUP BY window_start, window_end

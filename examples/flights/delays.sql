-- How late do flights leave New York, and when? Departures as they became known, in windows of six hours.

CREATE TABLE departures (
  reported_at  TIMESTAMP(0),
  scheduled_at TIMESTAMP(0),
  departed_at  TIMESTAMP(0),
  dep_delay    INT,
  arr_delay    INT,
  carrier      STRING,
  flight       INT,
  tailnum      STRING,
  origin       STRING,
  dest         STRING,
  air_time     INT,
  distance     INT,
  -- Reports arrive in the order of their minute, so the stream is complete up to the minute before.
  WATERMARK FOR reported_at AS reported_at - INTERVAL '1' MINUTE
) WITH (
  'connector'  = 'filesystem',
  'path'       = 'examples/flights/data/departures.csv',
  'format'     = 'csv',
  'csv.header' = 'true'
);

CREATE VIEW delays AS
SELECT
  window_start,
  origin,
  COUNT(*)                                   AS flights,
  COUNT(*) FILTER (WHERE dep_delay IS NULL)  AS cancelled,
  COUNT(*) FILTER (WHERE dep_delay >= 15)    AS late,
  AVG(CAST(dep_delay AS DOUBLE))             AS avg_delay,
  MAX(dep_delay)                             AS max_delay
FROM TABLE(TUMBLE(TABLE departures, DESCRIPTOR(reported_at), INTERVAL '6' HOUR))
GROUP BY window_start, window_end, origin;

-- The worst quarters of a day: at least every third flight a quarter of an hour late or more.
SELECT
  DATE_FORMAT(window_start, 'yyyy-MM-dd HH:mm') AS quarter,
  origin,
  flights,
  cancelled,
  late,
  ROUND(avg_delay, 1)                           AS avg_delay,
  max_delay
FROM delays
WHERE late * 3 >= flights AND flights >= 50
ORDER BY avg_delay DESC
LIMIT 20;

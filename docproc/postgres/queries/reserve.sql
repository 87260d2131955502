-- Takes seconds of a limit that all processes share (generic cell rate algorithm, its time in free_at) and says in how
-- many seconds they begin. What would begin later than patience is not taken.
WITH seen AS MATERIALIZED (
  SELECT free_at FROM docproc.rate_limits WHERE name = %(name)s FOR UPDATE
), turn AS MATERIALIZED (
  SELECT greatest((SELECT free_at FROM seen), clock_timestamp() - make_interval(secs => %(burst)s)) AS starts
), taken AS (
  INSERT INTO docproc.rate_limits (name, free_at)
  SELECT %(name)s, starts + make_interval(secs => %(seconds)s) FROM turn
   WHERE starts <= clock_timestamp() + make_interval(secs => %(patience)s)
  ON CONFLICT (name) DO UPDATE SET free_at = excluded.free_at
)
SELECT extract(epoch FROM starts - clock_timestamp())::float8 AS seconds FROM turn

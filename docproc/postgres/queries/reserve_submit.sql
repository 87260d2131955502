-- Takes a place in the shared queue of submits: the time at which this one may be sent, never more than the burst at once.
WITH taken AS (
  INSERT INTO docproc.rate_limits AS r (name, free_at)
  VALUES (%(name)s, clock_timestamp() + make_interval(secs => %(interval)s - %(interval)s * %(burst)s))
  ON CONFLICT (name) DO UPDATE
     SET free_at = greatest(r.free_at, clock_timestamp() - make_interval(secs => %(interval)s * %(burst)s))
                   + make_interval(secs => %(interval)s)
  RETURNING free_at
)
UPDATE docproc.parse_calls p
   SET submit_slot = greatest(taken.free_at, clock_timestamp())
  FROM taken
 WHERE p.parse_call_id = %(parse_call_id)s
RETURNING extract(epoch FROM p.submit_slot - clock_timestamp())::float8 AS seconds

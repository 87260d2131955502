-- The provider asked to wait: nobody sends before that.
INSERT INTO docproc.rate_limits AS r (name, free_at)
VALUES (%(name)s, clock_timestamp() + make_interval(secs => %(seconds)s))
ON CONFLICT (name) DO UPDATE SET free_at = greatest(r.free_at, excluded.free_at)

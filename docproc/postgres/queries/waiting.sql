-- The jobs that are not due yet, by state. The index of what is due is led by the priority: it is gone through priority
-- by priority, each from the present on, so that what is due is not read however much of it there is.
WITH RECURSIVE levels AS (
  (SELECT priority FROM docproc.upload_jobs WHERE claimed_by IS NULL AND NOT is_final
    ORDER BY priority DESC LIMIT 1)
  UNION ALL
  SELECT (SELECT j.priority FROM docproc.upload_jobs j
           WHERE j.claimed_by IS NULL AND NOT j.is_final AND j.priority < levels.priority
           ORDER BY j.priority DESC LIMIT 1)
    FROM levels WHERE levels.priority IS NOT NULL
)
SELECT waiting.status, count(*) AS jobs,
       extract(epoch FROM min(waiting.run_at) - now())::float8 AS next_due
  FROM levels
 CROSS JOIN LATERAL (
   SELECT j.status, j.run_at FROM docproc.upload_jobs j
    WHERE j.claimed_by IS NULL AND NOT j.is_final AND j.priority = levels.priority AND j.run_at > now()
       AND (%(only)s::text IS NULL OR j.user_id = %(only)s)
    ORDER BY j.run_at LIMIT 100000) waiting
 GROUP BY waiting.status

-- Who holds what: a row for each state and owner.
SELECT status, claimed_by AS owner, count(*) AS jobs, count(*) FILTER (WHERE lease_until < now()) AS stale,
       extract(epoch FROM now() - min(lease_until))::float8 AS stale_for
  FROM docproc.upload_jobs WHERE claimed_by IS NOT NULL AND user_id NOT LIKE 'docproc-trial-%%'
   AND (%(only)s::text IS NULL OR user_id = %(only)s)
 GROUP BY 1, 2

SELECT count(*) AS open,
       count(*) FILTER (WHERE claimed_by IS NULL AND run_at <= clock_timestamp()) AS due,
       extract(epoch FROM min(greatest(coalesce(lease_until, run_at), clock_timestamp())) - clock_timestamp())::float8
         AS next_due
  FROM docproc.upload_jobs
 WHERE NOT is_final AND status = ANY (%(states)s) AND (%(only)s::text IS NULL OR user_id = %(only)s)

-- After a COMMIT whose answer was lost: did our settle take place? The fence says so, for whoever claims next raises it;
-- where somebody has claimed since, the history does.
SELECT 1 FROM docproc.upload_jobs
 WHERE job_id = %(job_id)s AND fence = %(fence)s AND status = %(to)s
   AND claimed_by IS NOT DISTINCT FROM CASE WHEN %(keep)s THEN %(owner)s END
UNION ALL
SELECT 1 FROM docproc.job_events
 WHERE NOT %(keep)s AND job_id = %(job_id)s AND fence = %(fence)s AND worker = %(owner)s AND to_status = %(to)s
 LIMIT 1

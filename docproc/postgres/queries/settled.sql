-- After a COMMIT whose answer was lost: which of our settles took place? The fence says so, for whoever claims next
-- raises it; where somebody has claimed since, the history does.
SELECT c.job_id
  FROM jsonb_to_recordset(%(changes)s::jsonb) AS c (job_id uuid, fence bigint, to_status text, keep boolean)
 WHERE EXISTS (SELECT FROM docproc.upload_jobs j
                WHERE j.job_id = c.job_id AND j.fence = c.fence AND j.status = c.to_status
                  AND j.claimed_by IS NOT DISTINCT FROM CASE WHEN c.keep THEN %(owner)s END)
    OR NOT c.keep AND EXISTS (SELECT FROM docproc.job_events e
                               WHERE e.job_id = c.job_id AND e.fence = c.fence AND e.worker = %(owner)s
                                 AND e.to_status = c.to_status)

SELECT e.at, j.source, j.document_id, e.from_status, e.to_status, e.code
  FROM docproc.job_events e JOIN docproc.upload_jobs j USING (job_id)
 WHERE j.user_id NOT LIKE 'docproc-trial-%%' AND (%(only)s::text IS NULL OR j.user_id = %(only)s)
 ORDER BY e.event_id DESC LIMIT %(limit)s

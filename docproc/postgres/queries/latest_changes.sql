SELECT e.at, j.source, e.from_status, e.to_status, e.code
  FROM docproc.job_events e JOIN docproc.upload_jobs j USING (job_id)
 ORDER BY e.event_id DESC LIMIT %(limit)s

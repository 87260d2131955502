-- The history of finished jobs, but for the last word on each.
SELECT e.event_id, e.at
  FROM docproc.job_events e JOIN docproc.upload_jobs j ON j.job_id = e.job_id
 WHERE e.at < clock_timestamp() - make_interval(secs => %(seconds)s) AND j.is_final
   AND (%(user)s::text IS NULL OR j.user_id = %(user)s)
   AND (e.at, e.event_id) > (%(after)s::timestamptz, %(after_id)s::bigint)
   AND EXISTS (SELECT FROM docproc.job_events l WHERE l.job_id = e.job_id AND l.event_id > e.event_id)
 ORDER BY e.at, e.event_id LIMIT %(limit)s

SELECT count(*) AS events, coalesce(sum(pg_column_size(e.*)), 0) AS bytes
  FROM docproc.job_events e JOIN docproc.upload_jobs j ON j.job_id = e.job_id
 WHERE e.at < clock_timestamp() - make_interval(secs => %(seconds)s) AND j.is_final
   AND (%(user)s::text IS NULL OR j.user_id = %(user)s)
   AND EXISTS (SELECT FROM docproc.job_events l WHERE l.job_id = e.job_id AND l.event_id > e.event_id)

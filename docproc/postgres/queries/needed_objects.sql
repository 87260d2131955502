-- What jobs that are not complete have still to read: the bytes until they are parsed, the parse until they are chunked.
SELECT job_id, CASE WHEN coalesce(failed_from, status) = ANY (%(with_raw)s) THEN raw_path ELSE parsed_path END AS uri
  FROM docproc.upload_jobs
 WHERE status = ANY (%(states)s) AND coalesce(failed_from, status) = ANY (%(with_raw)s::text[] || %(with_parse)s::text[])
   AND (%(document_ids)s::uuid[] IS NULL OR document_id = ANY (%(document_ids)s))
   AND (%(user)s::text IS NULL OR user_id = %(user)s) AND job_id > %(after)s::uuid
   AND created_at < clock_timestamp() - make_interval(secs => %(seconds)s)
 ORDER BY job_id LIMIT %(limit)s

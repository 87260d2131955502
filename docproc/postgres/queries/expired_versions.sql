SELECT DISTINCT document_id FROM docproc.upload_jobs
 WHERE superseded_at <= clock_timestamp() - make_interval(secs => %(grace)s) AND superseded_at IS NOT NULL
   AND is_final AND claimed_by IS NULL
   AND document_id > %(after)s::uuid AND (%(user)s::text IS NULL OR user_id = %(user)s)
 ORDER BY document_id LIMIT %(limit)s

SELECT p.document_id FROM docproc.parse_calls p
 WHERE p.created_at < clock_timestamp() - make_interval(secs => %(seconds)s)
   AND p.document_id > %(after)s::uuid AND %(user)s::text IS NULL
   AND NOT EXISTS (SELECT FROM docproc.upload_jobs j WHERE j.document_id = p.document_id)
 GROUP BY p.document_id ORDER BY p.document_id LIMIT %(limit)s

SELECT j.job_id, j.document_id, j.user_id, j.source, j.status, j.extension, j.raw_path, j.raw_sha, j.raw_bytes,
       j.parsed_path, j.parsed_sha, j.chunks_version, j.embed_model, j.embed_version, j.progress, j.attempt, j.fence,
       p.state AS parse_state
  FROM docproc.upload_jobs j
  LEFT JOIN docproc.parse_calls p ON p.document_id = j.document_id AND p.parser = %(parser)s
 WHERE NOT j.is_final AND j.status = ANY (%(states)s) AND (%(only)s::text IS NULL OR j.user_id = %(only)s)
   AND (%(after)s::uuid IS NULL OR j.job_id > %(after)s)
 ORDER BY j.job_id
 LIMIT %(limit)s

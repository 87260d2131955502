SELECT c.chunk_id, c.chunk_ord, j.job_id, c.user_id, c.embed_prefix || c.text AS embed_text, c.embed_sha, c.tokens
  FROM docproc.upload_jobs j
  JOIN docproc.document_chunk_buffer c ON c.document_id = j.document_id
   AND c.chunker_name || '@' || c.chunker_version = j.chunks_version
 WHERE j.job_id = ANY (%(job_ids)s)
   AND (%(after_job)s::uuid IS NULL OR j.job_id > %(after_job)s
        OR j.job_id = %(after_job)s AND c.chunk_ord > %(after_ord)s)
   AND NOT EXISTS (SELECT FROM docproc.document_vector_buffer v
                    WHERE v.chunk_id = c.chunk_id AND v.embed_model = j.embed_model
                      AND v.embed_version = j.embed_version AND v.embed_sha = c.embed_sha)
 ORDER BY j.job_id, c.chunk_ord
 LIMIT %(limit)s

SELECT c.chunk_id, j.job_id, c.document_id, c.embed_prefix || c.text AS embed_text, c.embed_sha, c.tokens
  FROM docproc.upload_jobs j
  JOIN docproc.document_chunk_buffer c ON c.document_id = j.document_id
   AND c.chunker_name || '@' || c.chunker_version = j.chunks_version
 WHERE j.job_id = ANY (%(job_ids)s)
   AND NOT EXISTS (SELECT FROM docproc.document_vector_buffer v
                    WHERE v.chunk_id = c.chunk_id AND v.embed_model = j.embed_model
                      AND v.embed_version = j.embed_version AND v.embed_sha = c.embed_sha)
 ORDER BY j.priority DESC, j.created_at, j.job_id, c.chunk_ord

SELECT count(*) AS chunks, count(v.chunk_id) AS vectors, coalesce(max(c.chunk_ord), -1) + 1 AS ords
  FROM docproc.upload_jobs j
  JOIN docproc.document_chunk_buffer c ON c.document_id = j.document_id
   AND c.chunker_name || '@' || c.chunker_version = j.chunks_version
  LEFT JOIN docproc.document_vector_buffer v ON v.chunk_id = c.chunk_id AND v.embed_model = j.embed_model
   AND v.embed_version = j.embed_version AND v.embed_sha = c.embed_sha
 WHERE j.job_id = %(job_id)s

-- Jobs among these whose document is not whole: no chunk, an ordinal missing, or a chunk without its vector.
SELECT j.job_id, count(c.chunk_id) AS chunks, count(v.chunk_id) AS vectors, coalesce(max(c.chunk_ord), -1) + 1 AS ords
  FROM docproc.upload_jobs j
  LEFT JOIN docproc.document_chunk_buffer c ON c.document_id = j.document_id
   AND c.chunker_name || '@' || c.chunker_version = j.chunks_version
  LEFT JOIN docproc.document_vector_buffer v ON v.chunk_id = c.chunk_id AND v.embed_model = j.embed_model
   AND v.embed_version = j.embed_version AND v.embed_sha = c.embed_sha
 WHERE j.job_id = ANY (%(job_ids)s)
 GROUP BY j.job_id
HAVING count(c.chunk_id) = 0 OR count(c.chunk_id) <> count(v.chunk_id)
    OR count(c.chunk_id) <> coalesce(max(c.chunk_ord), -1) + 1

-- Vectors that the user owns for the same embedded string, model and version are taken over instead of bought.
INSERT INTO docproc.document_vector_buffer (chunk_id, document_id, user_id, embed_model, embed_version, embed_sha,
                                            vector, vector_sha)
SELECT DISTINCT ON (c.chunk_id, j.embed_model, j.embed_version)
       c.chunk_id, c.document_id, c.user_id, j.embed_model, j.embed_version, c.embed_sha, owned.vector, owned.vector_sha
  FROM docproc.upload_jobs j
  JOIN docproc.document_chunk_buffer c ON c.document_id = j.document_id
   AND c.chunker_name || '@' || c.chunker_version = j.chunks_version
  JOIN docproc.document_vector_buffer owned ON owned.user_id = c.user_id AND owned.embed_sha = c.embed_sha
   AND owned.embed_model = j.embed_model AND owned.embed_version = j.embed_version
 WHERE j.job_id = ANY (%(job_ids)s) AND owned.chunk_id <> c.chunk_id
ON CONFLICT (chunk_id, embed_model, embed_version) DO NOTHING

-- A vector that was paid for is kept whoever holds the job now, as long as its chunk still has the text it was made of.
INSERT INTO docproc.document_vector_buffer AS b (chunk_id, document_id, user_id, embed_model, embed_version, embed_sha,
                                                 vector, vector_sha)
SELECT c.chunk_id, c.document_id, c.user_id, %(model)s, %(version)s, i.embed_sha, i.vector, i.vector_sha
  FROM incoming_vectors i
  JOIN docproc.document_chunk_buffer c ON c.chunk_id = i.chunk_id AND c.embed_sha = i.embed_sha
 ORDER BY c.chunk_id
ON CONFLICT (chunk_id, embed_model, embed_version) DO UPDATE
   SET vector = excluded.vector, vector_sha = excluded.vector_sha, embed_sha = excluded.embed_sha
 WHERE (b.vector_sha, b.embed_sha) IS DISTINCT FROM (excluded.vector_sha, excluded.embed_sha)

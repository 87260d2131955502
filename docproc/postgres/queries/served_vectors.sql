-- For each user the model in service, and the dimensions of one of its vectors.
SELECT s.user_id, s.embed_model, s.embed_version,
       (SELECT vector_dims(v.vector) FROM docproc.document_vector_buffer v
         WHERE v.user_id = s.user_id AND v.embed_model = s.embed_model AND v.embed_version = s.embed_version LIMIT 1)
         AS dimensions
  FROM docproc.serving s ORDER BY s.user_id

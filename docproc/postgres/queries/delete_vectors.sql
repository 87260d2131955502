-- Asked once more: a job may have come in since.
DELETE FROM docproc.document_vector_buffer v
 USING unnest(%(chunk_ids)s::uuid[], %(models)s::text[], %(versions)s::text[]) AS gone (chunk_id, model, version)
 WHERE v.chunk_id = gone.chunk_id AND v.embed_model = gone.model AND v.embed_version = gone.version
   AND NOT EXISTS (SELECT FROM docproc.upload_jobs j WHERE j.document_id = v.document_id
                      AND j.embed_model = v.embed_model AND j.embed_version = v.embed_version)
RETURNING pg_column_size(v.vector) AS bytes

SELECT count(*) AS orphans FROM docproc.document_vector_buffer v
 WHERE NOT EXISTS (SELECT FROM docproc.upload_jobs j WHERE j.document_id = v.document_id
                      AND j.embed_model = v.embed_model AND j.embed_version = v.embed_version)

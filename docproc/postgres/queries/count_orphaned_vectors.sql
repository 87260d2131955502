SELECT count(*) AS orphans, coalesce(sum(pg_column_size(v.vector)), 0) AS bytes FROM docproc.document_vector_buffer v
 WHERE (%(user)s::text IS NULL OR v.user_id = %(user)s)
   AND NOT EXISTS (SELECT FROM docproc.upload_jobs j WHERE j.document_id = v.document_id
                      AND j.embed_model = v.embed_model AND j.embed_version = v.embed_version)

SELECT count(*) AS vectors FROM docproc.document_vector_buffer
 WHERE embed_model = %(model)s AND embed_version = %(version)s

DELETE FROM docproc.document_chunk_buffer
 WHERE document_id = %(document_id)s AND chunker_name = %(chunker_name)s AND chunker_version = %(chunker_version)s
   AND chunk_ord >= %(count)s

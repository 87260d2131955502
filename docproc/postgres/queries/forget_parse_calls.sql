DELETE FROM docproc.parse_calls WHERE document_id = ANY (%(document_ids)s::uuid[])

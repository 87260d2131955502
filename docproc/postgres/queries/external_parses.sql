SELECT external_id FROM docproc.parse_calls
 WHERE document_id = ANY (%(document_ids)s::uuid[]) AND external_id IS NOT NULL

SELECT count(*) AS sources FROM docproc.sources
 WHERE document_id = ANY (%(document_ids)s::uuid[]) AND withdrawn_at IS NOT NULL

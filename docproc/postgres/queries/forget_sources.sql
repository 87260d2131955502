DELETE FROM docproc.sources
 WHERE user_id = %(user)s AND (document_id = ANY (%(document_ids)s::uuid[]) OR uri = %(uri)s)

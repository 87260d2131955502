SELECT DISTINCT document_id FROM docproc.upload_jobs WHERE document_id = ANY (%(document_ids)s::uuid[])

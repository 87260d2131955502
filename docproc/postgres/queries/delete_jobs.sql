-- Their history goes with them.
DELETE FROM docproc.upload_jobs WHERE job_id = ANY (%(job_ids)s::uuid[])
RETURNING document_id, user_id, raw_path, raw_bytes, parsed_path

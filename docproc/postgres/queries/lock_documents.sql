-- Whoever works on them writes before this or not at all: a claim passes over what is locked.
SELECT job_id, document_id, source, claimed_by, lease_until > clock_timestamp() AS is_held
  FROM docproc.upload_jobs WHERE document_id = ANY (%(document_ids)s::uuid[])
 ORDER BY job_id
   FOR UPDATE

-- The documents of one source of a user: the present one, the one that is shown meanwhile, and the ones from before that
-- no source has; and for each whether another source has it.
SELECT d.document_id,
       EXISTS (SELECT FROM docproc.sources s
                WHERE s.user_id = %(user)s AND s.uri <> %(uri)s
                  AND (s.document_id = d.document_id OR s.live_job_id IN (
                         SELECT job_id FROM docproc.upload_jobs l WHERE l.document_id = d.document_id))) AS is_shared
  FROM (SELECT document_id FROM docproc.sources WHERE user_id = %(user)s AND uri = %(uri)s
        UNION
        SELECT j.document_id FROM docproc.sources s JOIN docproc.upload_jobs j ON j.job_id = s.live_job_id
         WHERE s.user_id = %(user)s AND s.uri = %(uri)s
        UNION
        SELECT document_id FROM docproc.upload_jobs WHERE user_id = %(user)s AND source = %(uri)s) d
 ORDER BY d.document_id

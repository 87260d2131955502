-- Against a switch to a model whose jobs are about to go.
SELECT 1 FROM docproc.serving
 WHERE user_id IN (SELECT user_id FROM docproc.upload_jobs WHERE document_id = ANY (%(document_ids)s::uuid[]))
 ORDER BY user_id
   FOR SHARE

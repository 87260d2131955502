SELECT embed_model, embed_version FROM docproc.serving WHERE user_id = %(user)s

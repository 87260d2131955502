SELECT source, target FROM docproc.legal_moves

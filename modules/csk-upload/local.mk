# modules/csk-upload

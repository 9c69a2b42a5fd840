# modules/csk-download

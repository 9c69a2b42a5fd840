# modules/srtp

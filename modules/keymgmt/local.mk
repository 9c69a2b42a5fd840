# modules/keymgmt

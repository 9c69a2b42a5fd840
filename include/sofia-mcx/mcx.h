/* mcx.h -- all of libmcx-core, the conventions and the glossary.
 *
 * Conventions
 *   Octets and sizes: "size" is a count of octets, "length" of characters,
 *   "n_" or "count" of items.  Integers on the wire are most significant
 *   octet first.  Times carry unit and epoch in the name: unix_ms, ntp_s.
 *   Functions return mcx_err and must be checked (mcx_err.h).  _new/_free are
 *   heap objects, _free(NULL) is allowed.  Where nothing else is said,
 *   functions may be called from any thread on different objects.
 *   SECRET marks what must be wiped: declare it with MCX_SECRET.
 *
 * Glossary
 *   CSB ID   crypto session bundle identifier; carries the key ID in 3GPP use
 *   CS ID    crypto session within it: selects direction and service
 *   CSK      client-server key; XPK when it protects XML
 *   ECCSI    the identity-based signature (RFC 6507)
 *   GKTP     group key transport payload: one I_MESSAGE in the XML document
 *            that brings a member his group's keys (TS 24.481)
 *   GMK, GUK-ID   group master key; its ID as rewritten for one member
 *   GSK      key of one transmission in direct mode, under a GMK (TS 33.303)
 *   HS       hash binding G, KPAK, identifier and PVT
 *   IDR      identity payload with a role; IDRi, IDRr, IDRkmsi, IDRkmsr,
 *            IDRuidi, IDRuidr
 *   IMPU     the user's public SIP identity
 *   KMS      key management server;  KPAK, Z  its two public keys
 *   KSAK, z  its two master secrets
 *   MC ID    mission-critical service ID, a URI;  MDSI, PSI  the server's
 *   MKI      master key identifier in SRTP packets
 *   MSCCK, MKFC, MuSiK   keys of MBMS subchannel and floor control
 *   PCK      private call key
 *   PVT, SSK public validation token and secret signing key of a user
 *   R, H     the two parts of SAKKE encapsulated data: a point and a hint
 *   RAND     public random value, input to every derivation
 *   RSK      receiver secret key of a user and key period
 *   SAKKE    the identity-based key encapsulation (RFC 6508)
 *   SP       security policy payload
 *   SPK      signalling protection key between servers, given by hand
 *   SSV      shared secret value: the key that SAKKE carries
 *   T        timestamp payload
 *   TEK, TGK traffic key (SRTP master key) and what it is derived from
 *   UID      32-octet hashed user identifier (TS 33.180 F.2.1) */
#ifndef MCX_H
#define MCX_H

#include <sofia-mcx/mcx_bytes.h>
#include <sofia-mcx/mcx_config.h>
#include <sofia-mcx/mcx_env.h>
#include <sofia-mcx/mcx_err.h>
#include <sofia-mcx/mcx_gktp.h>
#include <sofia-mcx/mcx_ident.h>
#include <sofia-mcx/mcx_keymgmt.h>
#include <sofia-mcx/mcx_keys.h>
#include <sofia-mcx/mcx_kms.h>
#include <sofia-mcx/mcx_kmssec.h>
#include <sofia-mcx/mcx_mikey.h>
#include <sofia-mcx/mcx_module.h>
#include <sofia-mcx/mcx_secret.h>

#endif /* MCX_H */

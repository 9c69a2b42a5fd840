# test-scenarios/sipp: one test a scenario, run by run.sh with SIPp as the peer.
TEST_EXTENSIONS = .scn .sh
SCN_LOG_COMPILER = bash $(srcdir)/test-scenarios/sipp/run.sh
SCENARIOS = \
	test-scenarios/sipp/call-bad-attribute/call-bad-attribute.scn \
	test-scenarios/sipp/call-cancel-held/call-cancel-held.scn \
	test-scenarios/sipp/call-good/call-good.scn \
	test-scenarios/sipp/call-multipart/call-multipart.scn \
	test-scenarios/sipp/call-offerless/call-offerless.scn \
	test-scenarios/sipp/call-plain/call-plain.scn \
	test-scenarios/sipp/call-rekey-forged/call-rekey-forged.scn \
	test-scenarios/sipp/call-rekey-other/call-rekey-other.scn \
	test-scenarios/sipp/call-rekey-relayed/call-rekey-relayed.scn \
	test-scenarios/sipp/call-spoof/call-spoof.scn \
	test-scenarios/sipp/datagram/datagram.scn \
	test-scenarios/sipp/download-cut/download-cut.scn \
	test-scenarios/sipp/download-foreign/download-foreign.scn \
	test-scenarios/sipp/download-good/download-good.scn \
	test-scenarios/sipp/download-idri-uid/download-idri-uid.scn \
	test-scenarios/sipp/download-idri-uri/download-idri-uri.scn \
	test-scenarios/sipp/download-idrr/download-idrr.scn \
	test-scenarios/sipp/download-new/download-new.scn \
	test-scenarios/sipp/download-no-t/download-no-t.scn \
	test-scenarios/sipp/download-old/download-old.scn \
	test-scenarios/sipp/download-parked-late/download-parked-late.scn \
	test-scenarios/sipp/download-parked/download-parked.scn \
	test-scenarios/sipp/download-replay/download-replay.scn \
	test-scenarios/sipp/download-sakke-check/download-sakke-check.scn \
	test-scenarios/sipp/download-sakke-point/download-sakke-point.scn \
	test-scenarios/sipp/download-signature/download-signature.scn \
	test-scenarios/sipp/download-signer/download-signer.scn \
	test-scenarios/sipp/download-tag/download-tag.scn \
	test-scenarios/sipp/download-trailing/download-trailing.scn \
	test-scenarios/sipp/download-two-sign/download-two-sign.scn \
	test-scenarios/sipp/download-zero/download-zero.scn \
	test-scenarios/sipp/overload/overload.scn \
	test-scenarios/sipp/publish-forged/publish-forged.scn \
	test-scenarios/sipp/publish-good/publish-good.scn \
	test-scenarios/sipp/publish-max-expires/publish-max-expires.scn \
	test-scenarios/sipp/publish-off-other/publish-off-other.scn \
	test-scenarios/sipp/redirect-call/redirect-call.scn \
	test-scenarios/sipp/redirect-made/redirect-made.scn \
	test-scenarios/sipp/redirect-obeyed/redirect-obeyed.scn \
	test-scenarios/sipp/redirect-signed/redirect-signed.scn \
	test-scenarios/sipp/register-forged/register-forged.scn \
	test-scenarios/sipp/register-full/register-full.scn \
	test-scenarios/sipp/register-good/register-good.scn \
	test-scenarios/sipp/register-refused/register-refused.scn \
	test-scenarios/sipp/register-third-party/register-third-party.scn \
	test-scenarios/sipp/tcp-left/tcp-left.scn

TESTS += $(SCENARIOS)

# File by file: to list the folder would also take what a test run left in the
# build folder of the same name, and a stale log in a tarball hides a test.
EXTRA_DIST += test-scenarios/sipp/run.sh $(SCENARIOS)
dist-hook: dist-scenarios
.PHONY: dist-scenarios
dist-scenarios:
	@sipp=test-scenarios/sipp; $(MKDIR_P) "$(distdir)/$$sipp/templates" && \
	    cp -p $(srcdir)/$$sipp/templates/*.xml \
	        "$(distdir)/$$sipp/templates/" || exit 1; \
	for s in $(SCENARIOS); do d=$${s%/*}; \
	    cp -p $(srcdir)/$$d/description $(srcdir)/$$d/expect \
	        "$(distdir)/$$d/" || exit 1; done

# Only the scenarios: `make check-sip`.
.PHONY: check-sip
check-sip:
	$(MAKE) check TESTS="$(SCENARIOS)"

# modules/core/ident

EXTRA_DIST += \
	test-scenarios/vectors/vec.h \
	test-scenarios/vectors/interop-streamwide-mikey-sakke.txt \
	test-scenarios/vectors/rfc6507-appendix-a.txt \
	test-scenarios/vectors/rfc6508-appendix-a.txt \
	test-scenarios/vectors/rfc6509-parameter-set-1.txt \
	test-scenarios/vectors/uid-ts-33180-f2.txt

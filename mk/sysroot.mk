# Cross builds: the target's packages are fetched by apt into a private state folder and unpacked below build/, so that the
# machine's own package database and list of architectures stay as they are; signatures are checked as always. Where apt's
# sources do not carry the architecture, give SYSROOT=folder (with usr/include and usr/lib/$(CROSS)) yourself.
SYSROOT ?= $(BUILD)/sysroot
BASE    += -isystem $(SYSROOT)/usr/include
RUN     := qemu-$(ARCH) -L /usr/$(CROSS)

DEB_ARCH_aarch64 := arm64
DEB_ARCH_x86_64  := amd64
APT = apt-get -q -o APT::Architecture=$(DEB_ARCH_$(ARCH)) -o APT::Architectures=$(DEB_ARCH_$(ARCH)) \
    -o APT::Sandbox::User=root -o Dir::State=$(CURDIR)/$(SYSROOT)/apt -o Dir::State::status=/dev/null \
    -o Dir::Cache=$(CURDIR)/$(SYSROOT)/apt -o Acquire::Languages=none
ifeq ($(origin SYSROOT),file)
DEPS_OK += $(SYSROOT)/.ok
$(SYSROOT)/.ok: $(BUILD)/.libs | $(firstword $(DEPS_OK))
	@echo "fetching the $(DEB_ARCH_$(ARCH)) libraries into $(SYSROOT)"; rm -rf $(SYSROOT)
	@mkdir -p $(SYSROOT)/apt/lists/partial $(SYSROOT)/apt/archives/partial
	$(Q)$(APT) update > $(SYSROOT)/apt.log && cd $(SYSROOT)/apt && \
	$(APT) download $(foreach need,$(LIBS),$(firstword $(subst =, ,$(need)))) >> ../apt.log && \
	for deb in *.deb; do dpkg-deb -x $$deb ..; done && rm -rf ../apt && touch ../.ok
endif

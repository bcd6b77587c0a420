// libsystemd's journal and service-manager interfaces, as far as Swift can import them.
#pragma once
#include <sys/uio.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-id128.h>
#include <systemd/sd-journal.h>

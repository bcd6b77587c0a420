// zlib, as far as Swift can import it.
#pragma once
#include <zlib.h>

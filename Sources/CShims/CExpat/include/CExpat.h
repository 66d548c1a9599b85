// expat: streaming XML.
#pragma once

#include <expat.h>
